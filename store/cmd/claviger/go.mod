module github.com/claviger-auth/claviger/store/cmd/claviger

go 1.26.0

require (
	github.com/claviger-auth/claviger v0.0.0
	github.com/claviger-auth/claviger/store/pgstore v0.0.0
	github.com/claviger-auth/claviger/store/redisstore v0.0.0
	github.com/claviger-auth/claviger/store/sqlitestore v0.0.0
	github.com/google/go-cmp v0.7.0
	github.com/jackc/pgx/v5 v5.12.0
	github.com/redis/go-redis/v9 v9.23.0
	golang.org/x/sys v0.49.0
	golang.org/x/term v0.47.0
	modernc.org/sqlite v1.60.1
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/ncruces/go-strftime v1.0.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	modernc.org/libc v1.77.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)

replace github.com/claviger-auth/claviger => ../../..

replace github.com/claviger-auth/claviger/store/pgstore => ../../pgstore

replace github.com/claviger-auth/claviger/store/redisstore => ../../redisstore

replace github.com/claviger-auth/claviger/store/sqlitestore => ../../sqlitestore
