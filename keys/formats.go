package keys

import "strings"

// parseOther parses the text of a key in the first of the other formats that takes
// it. The argument err is the error with which the own format refused the text.
func (s *settings) parseOther(text string, err error) (Credential, error) {
	if err == errChecksum || strings.HasPrefix(text, s.token.prefix) {
		return Credential{}, ErrMalformed
	}
	for _, f := range s.others {
		c, err := f.parse(text)
		if err == nil {
			return c, nil
		}
		if err == errChecksum {
			break
		}
	}
	return Credential{}, ErrMalformed
}

// parseKey parses the text of a key in the own format, or in the first of the other
// formats that takes it.
func (s *settings) parseKey(text string) (Credential, error) {
	if strings.HasPrefix(text, s.token.prefix) {
		return Credential{}, ErrMalformed
	}
	c, err := s.key.parse(text)
	if err != nil {
		return s.parseOther(text, err)
	}
	return c, nil
}

// validKeyID reports whether a key of one of the formats can have the given ID.
func (s *settings) validKeyID(id string) bool {
	if s.key.ValidID(id) {
		return true
	}
	for _, f := range s.others {
		if f.ValidID(id) {
			return true
		}
	}
	return false
}

// parsePair parses the ID and the secret of a client.
func (s *settings) parsePair(id, secret string) (Credential, error) {
	c, err := s.client.ParsePair(id, secret)
	if err != nil || !s.client.foreign || strings.HasPrefix(id, s.client.prefix) {
		return c, err
	}
	if !s.validClientID(id) {
		return Credential{}, ErrMalformed
	}
	return c, nil
}

// validClientID reports whether a client can have the given ID. An ID that another
// system chose must not look like that of a key or a token.
func (s *settings) validClientID(id string) bool {
	if strings.HasPrefix(id, s.client.prefix) || !s.client.foreign {
		return s.client.ValidID(id)
	}
	for _, f := range s.others {
		if strings.HasPrefix(id, f.prefix) {
			return false
		}
	}
	return !strings.HasPrefix(id, s.key.prefix) && !strings.HasPrefix(id, s.token.prefix) && s.client.ValidID(id)
}
