CREATE TABLE accounts (account text PRIMARY KEY, api_key text NOT NULL);
INSERT INTO accounts VALUES ('acct_1', 'sk_live_4eC39HqLyjWDarjtT1zdp7dc');
