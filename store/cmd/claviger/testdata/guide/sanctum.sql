CREATE TABLE personal_access_tokens (id bigserial PRIMARY KEY, tokenable_type text NOT NULL, tokenable_id bigint NOT NULL, name text NOT NULL,
	token varchar(64) NOT NULL UNIQUE, abilities text, last_used_at timestamp, expires_at timestamp, created_at timestamp, updated_at timestamp);
INSERT INTO personal_access_tokens VALUES (7, 'App\Models\User', 42, 'phone', 'd5c4b490c51ba1262590e1fd7709500791078412a11e4bc89e81f635d6ba7420',
	'["*"]', NULL, NULL, '2026-01-02 03:04:05', '2026-01-02 03:04:05');
