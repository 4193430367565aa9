CREATE TABLE apikey (id text PRIMARY KEY, name text, start text, prefix text, key text NOT NULL, "referenceId" text NOT NULL,
	enabled boolean DEFAULT true, "rateLimitMax" int, "expiresAt" timestamptz, "createdAt" timestamptz NOT NULL, metadata text);
INSERT INTO apikey VALUES ('W2aXkq0bq3Nf1zE7', 'ci key', 'AVfUxf', NULL, 'f1gXuxxeEMsCl-itEVBLF621Wni36Fh06UCAU7IMNpY', 'user_1', true, 10, NULL, '2026-03-01 09:30:00+00', NULL);
