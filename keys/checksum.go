package keys

import "hash/crc32"

// base62 has its digits in ascending ASCII order, so that numbers of equal
// length sort as their texts do.
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checksumLen is the number of characters of a checksum: 62^6 > 2^32.
const checksumLen = 6

// checksum returns the CRC-32 (IEEE) of text in base62, the most significant
// digit first, padded with zeros. It tells typing errors and junk apart from
// keys without a look-up; it proves nothing about who made the text.
func checksum(text []byte) (sum [checksumLen]byte) {
	n := crc32.ChecksumIEEE(text)
	for i := checksumLen - 1; i >= 0; i-- {
		sum[i] = base62[n%62]
		n /= 62
	}
	return sum
}
