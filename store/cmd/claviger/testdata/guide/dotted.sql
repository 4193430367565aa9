CREATE TABLE api_keys (id text PRIMARY KEY, secret_hash text NOT NULL, org text NOT NULL);
INSERT INTO api_keys VALUES ('K3y1D', encode(sha256('s3cr3t-half-of-a-key-0123456789abcdef'), 'hex'), 'acme');
