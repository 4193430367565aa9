CREATE TABLE client (id varchar(36) PRIMARY KEY, enabled boolean NOT NULL, client_id varchar(255), secret varchar(255), name varchar(255), realm_id varchar(36),
	public_client boolean NOT NULL DEFAULT false, service_accounts_enabled boolean NOT NULL DEFAULT false);
INSERT INTO client VALUES ('1', true, 'account-service', 'Zt8cTn3vKq5xLr1yPb6wHd9fJs2gMe4a', NULL, 'REALM', false, true);
