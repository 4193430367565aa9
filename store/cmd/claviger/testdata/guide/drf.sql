CREATE TABLE rest_framework_api_key_apikey (id varchar(150) PRIMARY KEY, created timestamptz NOT NULL, name varchar(50) NOT NULL,
	revoked boolean NOT NULL, expiry_date timestamptz, hashed_key varchar(150) NOT NULL, prefix varchar(8) NOT NULL UNIQUE);
INSERT INTO rest_framework_api_key_apikey VALUES ('hT2bXq9Z.x', '2026-01-02 03:04:05.123456+00', 'backend', false, NULL,
	'sha512$$040d91c5950e01f562b29768367903af08681f35af8f94f819f604729a3750ae9b7f2b6c3334701dee190f0d27612e9a8e10180e420d016f47074f3130fde748', 'hT2bXq9Z');
