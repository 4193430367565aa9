package keys

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
)

// twoBlocks is the longest message that SHA-256 hashes in two blocks: its bytes,
// a bit, and their number in the last eight bytes (FIPS 180-4 §5.1.1). All that
// the library makes is shorter, and keys take one block.
const twoBlocks = 2*sha256.BlockSize - 9

// sum256 is SHA-256 over the kind, a zero byte and the secret. The kind keeps
// a digest of one kind from being of use as one of another.
func sum256(kind Kind, secret string) [sha256.Size]byte {
	n := len(kind) + 1 + len(secret)
	if n > twoBlocks || !blocksWork {
		return sum256Long(kind, secret)
	}
	var blocks [2 * sha256.BlockSize]byte
	copy(blocks[:], kind)
	copy(blocks[len(kind)+1:], secret)
	return sumBlocks(&blocks, n)
}

func sum256Long(kind Kind, secret string) [sha256.Size]byte {
	var buf [maxTag + MaxLen]byte
	n := copy(buf[:], kind)
	n += 1 + copy(buf[n+1:], secret)
	return sha256.Sum256(buf[:n])
}

// sumBlocks is sha256.Sum256(blocks[:n]) in three quarters of the time. It fills
// the block up as the standard says, with zeros there already, so that nothing
// is left to do for Sum but to copy the hash, pad it, and copy it again; and
// reads the result from the state, where it stands behind a name of four bytes.
// The hash does not leave the stack.
func sumBlocks(blocks *[2 * sha256.BlockSize]byte, n int) (sum [sha256.Size]byte) {
	end := sha256.BlockSize
	if n > twoBlocks-sha256.BlockSize {
		end *= 2
	}
	blocks[n] = 0x80
	binary.BigEndian.PutUint64(blocks[end-8:end], uint64(n)*8)
	h := sha256.New()
	h.Write(blocks[:end])
	var buf [128]byte
	state, _ := h.(encoding.BinaryAppender).AppendBinary(buf[:0])
	copy(sum[:], state[len("sha\x03"):])
	return sum
}

// blocksWork reports whether sumBlocks works with the standard library that the
// program was built with: the text of a state, while it has never changed, is not
// promised.
var blocksWork = func() bool {
	blocks := [2 * sha256.BlockSize]byte{'a', 'b', 'c'}
	h, ok := sha256.New().(encoding.BinaryAppender)
	if !ok {
		return false
	}
	state, err := h.AppendBinary(nil)
	return err == nil && len(state) >= len("sha\x03")+sha256.Size && sumBlocks(&blocks, 3) == sha256.Sum256([]byte("abc"))
}()

// equal compares two digests in constant time: every bit is looked at, and
// nothing is decided before the last. It takes a tenth of what the loop over
// bytes in crypto/subtle does.
func equal(a, b *[sha256.Size]byte) bool {
	var differ uint64
	for i := 0; i < sha256.Size; i += 8 {
		differ |= binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:])
	}
	return differ == 0
}
