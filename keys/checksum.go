package keys

import "hash/crc32"

// base62 has its digits in ascending ASCII order, so that numbers of equal
// length sort as their texts do.
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// base62Values has the value of each digit of base62.
var base62Values = func() (values [256]uint8) {
	for i := range len(base62) {
		values[base62[i]] = uint8(i)
	}
	return values
}()

// checksumLen is the number of characters of a checksum: 62^6 > 2^32.
const checksumLen = 6

// checksum returns the CRC-32 (IEEE) of text in base62, the most significant
// digit first, padded with zeros. With it, typing errors and junk are found without
// reading the store. It does not prove who made the text.
func checksum(text []byte) (sum [checksumLen]byte) {
	n := crc32.ChecksumIEEE(text)
	for i := checksumLen - 1; i >= 0; i-- {
		sum[i] = base62[n%62]
		n /= 62
	}
	return sum
}

// crc returns the CRC-32 (IEEE) of a prefix followed by text, given the prefix's
// CRC.
func crc(prefix uint32, text string) uint32 {
	return crc32.Update(prefix, crc32.IEEETable, bytesOf(text))
}

// checksumIn returns the number that a checksum stands for. The text must be six
// digits of base62. A number above 32 bits is no CRC, so checksum never wrote it.
func checksumIn(text string) uint64 {
	var n uint64
	for i := range checksumLen {
		n = n*62 + uint64(base62Values[text[i]])
	}
	return n
}
