CREATE TABLE oauth2_clients (id text PRIMARY KEY, secret text NOT NULL, domain text NOT NULL, data jsonb NOT NULL);
INSERT INTO oauth2_clients VALUES ('000000', '999999', 'http://localhost', '{}');
