CREATE TABLE hydra_client (id varchar(255) NOT NULL, client_name text NOT NULL, client_secret text NOT NULL, scope text NOT NULL, owner text NOT NULL,
	grant_types text NOT NULL, client_secret_expires_at int NOT NULL DEFAULT 0, created_at timestamp NOT NULL DEFAULT now(), nid uuid, pk uuid PRIMARY KEY);
INSERT INTO hydra_client VALUES ('5f0e8b1c-7c1d-4a52-9a53-2d0c1b7f6a34', 'orders',
	'$pbkdf2-sha256$i=25000,l=32$AAECAwQFBgcICQoLDA0ODw$ozOXUtyYH7O1zphQVhpgVFqqrgz2ieO1buxmDdet9jE', 'orders:read', '',
	'["client_credentials"]', 0, '2026-01-02 03:04:05', NULL, gen_random_uuid());
