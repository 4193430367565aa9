CREATE TABLE api_keys (short_token text PRIMARY KEY, long_token_hash text NOT NULL, owner text NOT NULL);
INSERT INTO api_keys VALUES ('PWJApVjo', 'e94ce3a31d2fd02e144aefe158d3d979a6705ad11909b4a98da98350cb513644', 'workspace_1');
