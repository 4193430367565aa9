CREATE TABLE keys (id varchar(256) PRIMARY KEY, hash varchar(256) NOT NULL, start varchar(256) NOT NULL, owner_id varchar(256), name varchar(256),
	enabled boolean NOT NULL DEFAULT true, expires timestamp, created_at_m bigint NOT NULL, deleted_at_m bigint);
INSERT INTO keys VALUES ('key_2cGKbMxRyIzhCxo1Idjz8q', 'hTO87jOQqSr0Yz0pw7TV7Y+Fipp3nfxS8ysGAjrUJSE=', 'prod_3Zx', 'acme', 'gateway', true, NULL, 1767225600000, NULL);
