CREATE TABLE oauth2_registered_client (id varchar(100) PRIMARY KEY, client_id varchar(100) NOT NULL, client_id_issued_at timestamp NOT NULL DEFAULT now(),
	client_secret varchar(200), client_secret_expires_at timestamp, client_name varchar(200) NOT NULL, client_authentication_methods varchar(1000) NOT NULL,
	authorization_grant_types varchar(1000) NOT NULL, redirect_uris varchar(1000), scopes varchar(1000) NOT NULL, client_settings varchar(2000) NOT NULL,
	token_settings varchar(2000) NOT NULL);
INSERT INTO oauth2_registered_client VALUES ('1', 'messaging-client', '2026-01-02 03:04:05', '{bcrypt}$2a$10$N9qo8uLOickgx2ZMRZoMyeext1WkwLYDHySghVzDEOqXLpVdPTQOO',
	NULL, 'messaging', 'client_secret_basic', 'client_credentials,refresh_token', NULL, 'orders:read,orders:write', '{}', '{}');
