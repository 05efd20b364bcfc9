package pii

// ibanLengths is the registry of ISO 13616 (SWIFT, release 99): country → length.
var ibanLengths = func() (t [26 * 26]uint8) {
	const list = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28" +
		"HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25" +
		"QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
	for i := 0; i < len(list); i += 4 {
		t[int(list[i]-'A')*26+int(list[i+1]-'A')] = (list[i+2]-'0')*10 + list[i+3] - '0'
	}
	return t
}()

// iban tries an account number at i, where two letters and two digits stand; 0 when there is none.
func (s *scanner) iban(i int) int {
	t := s.t
	want := int(ibanLengths[int(lower(t[i])-'a')*26+int(lower(t[i+1])-'a')])
	if want == 0 {
		return 0
	}
	var buf [34]byte
	n, j := 0, i
	for n < want {
		switch c := at(t, j); {
		case isAlnum(c):
			buf[n] = c
			n++
		case (c == ' ' || c == '-' || c == '.' || c == '\n') && n >= 4 && isAlnum(at(t, j+1)):
		case c == '\r' && at(t, j+1) == '\n' && n >= 4:
		default:
			return 0
		}
		j++
	}
	if isWord(at(t, j)) || mod97(buf[:n]) != 1 {
		return 0
	}
	s.add(kIBAN, i, j, 1, byChecksum)
	return j
}

// mod97 returns the remainder of ISO 7064 for the IBAN b: letters count as 10 to 35, the first four characters last.
func mod97(b []byte) int {
	r := 0
	for k := range b {
		c := b[(k+4)%len(b)]
		if isDigit(c) {
			r = (r*10 + int(c-'0')) % 97
		} else {
			r = (r*100 + int(lower(c)-'a') + 10) % 97
		}
	}
	return r
}
