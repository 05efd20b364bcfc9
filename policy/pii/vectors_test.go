package pii

import (
	"os"
	"strings"
	"testing"
	"time"
)

// vectors are texts in which «» stand around what must be found.
var vectors = []struct{ name, typ, text string }{
	{"plain", Email, "write to «jane.doe@example.com» today"},
	{"plus-and-subdomain", Email, "«a.b+tag@mail.example.co.uk»."},
	{"quoted", Email, "'«o'neil@example.org»'"},
	{"angle", Email, "Jane <«jane@example.de»>,"},
	{"digits-local", Email, "qq «123456789@qq.com»"},
	{"umlauts", Email, "an «jörg@müller.de» senden"},
	{"chinese-around", Email, "邮箱是«foo@example.com»谢谢"},
	{"url-form", Email, "?to=«joe%40example.com»&x=1"},
	{"fullwidth-at", Email, "«joe＠example．com»"},
	{"zero-width", Email, "«jo\u200be@exam\u200dple.com»"},
	{"soft-hyphen-outside", Email, "\u00ad«joe@example.com»\u00ad x"},
	{"json-escape", Email, `{"to":"«joe\u0040example.com»"}`},
	{"no-tld", Email, "root@localhost is here"},
	{"package", Email, "lodash@4.17.21 and logo@2x.png"},
	{"git", Email, "git@github.com:org/repo.git"},
	{"handle", Email, "ask @jane or jane@"},

	{"visa", CreditCard, "card «4111 1111 1111 1111», thanks"},
	{"visa-dashes", CreditCard, "«4111-1111-1111-1111»"},
	{"mastercard", CreditCard, "«5555555555554444»"},
	{"mastercard-2", CreditCard, "«2223003122003222»"},
	{"amex", CreditCard, "«3782 822463 10005»"},
	{"amex-solid", CreditCard, "«371449635398431»"},
	{"diners", CreditCard, "«30569309025904»"},
	{"discover", CreditCard, "«6011111111111117»"},
	{"jcb", CreditCard, "«3530111333300000»"},
	{"unionpay", CreditCard, "«6250941006528599»"},
	{"after-a-number", CreditCard, "order 12 «4111 1111 1111 1111» 08/27"},
	{"line-break", CreditCard, "«4111 1111\n1111 1111»"},
	{"crlf", CreditCard, "«4111 1111\r\n1111 1111» x"},
	{"nbsp", CreditCard, "«4111\u00a01111\u00a01111\u00a01111»"},
	{"fullwidth", CreditCard, "«４１１１１１１１１１１１１１１１»"},
	{"arabic-digits", CreditCard, "«٤١١١١١١١١١١١١١١١»"},
	{"zero-width-between", CreditCard, "«4111\u200b1111\u200b1111\u200b1111»"},
	{"digit-by-digit", CreditCard, "«4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1»"},
	{"bad-luhn", CreditCard, "4111 1111 1111 1112"},
	{"no-issuer", CreditCard, "9999999999999995"},
	{"fraction", CreditCard, "0.4111111111111111"},
	{"zeros", CreditCard, "0000000000000000"},
	{"uuid", CreditCard, "550e8400-e29b-41d4-a716-446655440000"},
	{"in-a-word", CreditCard, "x4111111111111111"},

	{"de", IBAN, "IBAN «DE89 3704 0044 0532 0130 00»."},
	{"de-solid", IBAN, "«DE89370400440532013000»"},
	{"gb", IBAN, "«GB29 NWBK 6016 1331 9268 19»"},
	{"fr", IBAN, "«FR14 2004 1010 0505 0001 3M02 606»"},
	{"nl-lower", IBAN, "«nl91abna0417164300»"},
	{"es", IBAN, "«ES91 2100 0418 4502 0005 1332»"},
	{"ch", IBAN, "«CH93 0076 2011 6238 5295 7»"},
	{"no", IBAN, "«NO93 8601 1117 947»"},
	{"mt", IBAN, "«MT84MALT011000012345MTLCAST001S»"},
	{"narrow-nbsp", IBAN, "«DE89\u202f3704\u202f0044\u202f0532\u202f0130\u202f00»"},
	{"broken-line", IBAN, "«DE89 3704 0044\n0532 0130 00»"},
	{"bad-check", IBAN, "DE88 3704 0044 0532 0130 00"},
	{"bad-length", IBAN, "DE8937040044053201300"},
	{"bad-country", IBAN, "ZZ89370400440532013000"},

	{"v4", IPAddress, "from «203.0.113.9»:8080"},
	{"v4-cidr", IPAddress, "«198.51.100.0»/24"},
	{"v4-private", IPAddress, "host «10.1.2.3»."},
	{"v6", IPAddress, "[«2001:db8::8a2e:370:7334»]:443"},
	{"v6-full", IPAddress, "«2001:0db8:0000:0000:0000:8a2e:0370:7334»"},
	{"v6-link", IPAddress, "«fe80::1ff:fe23:4567:890a»%eth0"},
	{"v6-mapped", IPAddress, "«::ffff:192.0.2.128»"},
	{"v4-version", IPAddress, "v1.2.3.4 and version 1.2.3.4 and lib-1.2.3.4"},
	{"v4-five", IPAddress, "1.2.3.4.5"},
	{"v4-range", IPAddress, "300.1.2.3"},
	{"v4-loopback", IPAddress, "127.0.0.1 and 0.0.0.0 and ::1"},
	{"time", IPAddress, "at 12:30:45 on 01:02"},
	{"cpp", IPAddress, "a::b1 std::vector fe::add"},

	{"dashes", USSSN, "SSN «123-45-6789»"},
	{"spaces-context", USSSN, "social security: «123 45 6789»"},
	{"solid-context", USSSN, "my ssn is «123456789»"},
	{"solid", USSSN, "order 123456789"},
	{"area-666", USSSN, "666-45-6789"},
	{"area-9", USSSN, "900-45-6789"},
	{"group-00", USSSN, "123-00-6789"},
	{"serial-0000", USSSN, "123-45-0000"},
	{"woolworth", USSSN, "078-05-1120"},
	{"longer", USSSN, "123-45-6789-1"},

	{"de-intl", Phone, "ruf «+49 30 901820» an"},
	{"de-zero", Phone, "«+49 (0)30 901820»"},
	{"fr-intl", Phone, "«+33 1 42 68 53 00»"},
	{"gb-intl", Phone, "«+44 20 7946 0958»"},
	{"us-intl", Phone, "«+1 (415) 555-2671»"},
	{"in-intl", Phone, "«+919876543210»"},
	{"jp-intl", Phone, "«+81 3-1234-5678»"},
	{"br-intl", Phone, "«+55 11 91234-5678»"},
	{"00", Phone, "«0049 30 901820»"},
	{"nanp-paren", Phone, "at «(415) 555-2671»."},
	{"nanp-dash", Phone, "«415-555-2671»"},
	{"nanp-dot", Phone, "«415.555.2671»"},
	{"context-en", Phone, "my phone is «030 901820»"},
	{"context-de", Phone, "Telefon: «030/901820»"},
	{"context-fr", Phone, "tél. «01 42 68 53 00»"},
	{"context-zh", Phone, "我的电话是«13812345678»。"},
	{"context-underscore", Phone, "customer_phone: «5551234567»"},
	{"two", Phone, "«+49 30 901820» and «+33 1 42 68 53 00»"},
	{"no-context", Phone, "order 030 901820"},
	{"date", Phone, "call me on 2024-01-15"},
	{"amount", Phone, "revenue was $1.234.567.890"},
	{"too-short", Phone, "call 12345"},
	{"big", Phone, "12345678901234567890"},

	{"colons", MACAddress, "«00:1A:2B:3C:4D:5E»"},
	{"hyphens", MACAddress, "«00-1A-2B-3C-4D-5E» up"},
	{"letters", MACAddress, "«aa:bb:cc:dd:ee:ff»"},
	{"letters-hyphens", MACAddress, "«aa-bb-cc-dd-ee-ff»"},
	{"eui64", MACAddress, "00:1A:2B:3C:4D:5E:6F:70"},

	{"url", URLCredentials, "postgres://«app:s3cr3t»@db.example.com/x"},
	{"url-no-user", URLCredentials, "redis://«:hunter22»@cache:6379"},
	{"url-variable", URLCredentials, "https://user:$PASSWORD@host.example.com"},
	{"url-no-password", URLCredentials, "ssh://git@host/x"},

	{"aws", Secret, "id «AKIAIOSFODNN7EXAMPLE» ok"},
	{"aws-no-digit", Secret, "«AKIAIOSFODNNXEXAMPLE»"},
	{"aws-secret", Secret, "aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"},
	{"github", Secret, "«ghp_" + strings.Repeat("aB3d", 9) + "»"},
	{"github-no-digit", Secret, "«ghp_" + strings.Repeat("aBcd", 9) + "»"},
	{"github-pat", Secret, "«github_pat_11ABCDEFG0" + strings.Repeat("aB3_", 16) + "»"},
	{"openai", Secret, "key «sk-proj-abcDEF123456_ghiJKL789012-mnop»."},
	{"anthropic", Secret, "«sk-ant-api03-abcdefghij1234567890ABCDEF»"},
	{"openai-old", Secret, "«sk-abcdefghij1234567890ABCD»"},
	{"slack", Secret, "«xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx»"},
	{"google", Secret, "«AIza" + strings.Repeat("SyA-b", 7) + "»"},
	{"stripe", Secret, "«sk_live_51H8abcdefghijklmnop»"},
	{"jwt", Secret, "Bearer «eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U»"},
	{"gitlab", Secret, "«glpat-abcdefghij1234567890»"},
	{"password-eq", Secret, "password=«hunter2»&x=1"},
	{"password-colon", Secret, "Password: «Tr0ub4dor»."},
	{"password-json", Secret, `{"password": "«correct horse battery»"}`},
	{"password-nested", Secret, `"{\"password\":\"«hunter22»\"}"`},
	{"api-key", Secret, `api_key: "«q8Zk3vN1xT7bR5mC9wLp»"`},
	{"bearer", Secret, "Authorization: Bearer «9f8e7d6c5b4a39281706abcd»"},
	{"css", Secret, "class=sk-fading-circle-container-animation"},
	{"prose", Secret, "Password: please reset it"},
	{"mask", Secret, "password=******** token=<your-token> secret: ${SECRET}"},
	{"code", Secret, "password = getpass('Password: ')"},
	{"max-tokens", Secret, `"max_tokens": 4096`},
	{"placeholder", Secret, "password=SECRET_7K3F9Q2M4T8X"},

	{"pem", PrivateKey, "x «-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----»\n"},
	{"pem-escaped", PrivateKey, `{"k":"«-----BEGIN PRIVATE KEY-----\nMIIEow\n-----END PRIVATE KEY-----»"}`},
	{"pem-cut", PrivateKey, "«-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r»"},
	{"pem-public", PrivateKey, "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"},
}

// newTest returns an Inspector with a fixed key.
func newTest(t testing.TB, c Config) *Inspector {
	t.Helper()
	c.Key = []byte("a key for tests, 32 bytes long..")
	in, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// marked puts «» around the findings of the type.
func marked(in *Inspector, text, typ string) string {
	r := []rune(text)
	var b strings.Builder
	done := 0
	for _, f := range in.InspectText(text) {
		if f.Type == typ {
			b.WriteString(string(r[done:f.Start]) + "«" + string(r[f.Start:f.End]) + "»")
			done = f.End
		}
	}
	b.WriteString(string(r[done:]))
	return b.String()
}

func TestVectors(t *testing.T) {
	in := newTest(t, Config{})
	for _, v := range vectors {
		t.Run(v.typ+"/"+v.name, func(t *testing.T) {
			text := strings.NewReplacer("«", "", "»", "").Replace(v.text)
			if got := marked(in, text, v.typ); got != v.text {
				t.Errorf("found %q\n want %q\n  all %+v", got, v.text, in.InspectText(text))
			}
		})
	}
}

// No text may take more than a little longer than its length: each of these made a careless scanner quadratic.
func TestHostileTexts(t *testing.T) {
	in := newTest(t, Config{})
	for _, unit := range []string{"eyJ1-", "eyJ1_", "a@", "1 ", "1.", "password=", "::1", "a:", "-----BEGIN ", "sk-", "://a:b@", "A", "_1", "\\u0040", "\u200b", "+1", "DE12 "} {
		text := strings.Repeat(unit, 200_000/len(unit))
		start := time.Now()
		in.InspectText(text)
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("%q repeated to 200 kB took %v", unit, d)
		}
	}
}

// docs/inspect.md is the list of types that the rest of Sluice refers to.
func TestTypesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/inspect.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Types() {
		if !strings.Contains(string(doc), "| `"+name+"` |") {
			t.Errorf("docs/inspect.md lacks %s", name)
		}
	}
}

func TestRegions(t *testing.T) {
	in := newTest(t, Config{Regions: []string{"DE"}})
	if got, want := marked(in, "Büro 030 901820 heute", Phone), "Büro «030 901820» heute"; got != want {
		t.Errorf("with region DE: %q, want %q", got, want)
	}
	if got := marked(in, "order 99 999", Phone); got != "order 99 999" {
		t.Errorf("a short number became a phone number: %q", got)
	}
}

func TestConfig(t *testing.T) {
	_, err := New(Config{Types: []string{"EMAIL", "FAX"}, Regions: []string{"Germany"}, MinScore: 2, Key: []byte("short")})
	if err == nil {
		t.Fatal("New accepted four mistakes")
	}
	for _, want := range []string{`"FAX"`, `"Germany"`, "min_score", "key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	in := newTest(t, Config{Types: []string{Email}})
	if fs := in.InspectText("a@example.com 4111111111111111"); len(fs) != 1 || fs[0].Type != Email {
		t.Errorf("with types [EMAIL] found %+v", fs)
	}
	in = newTest(t, Config{MinScore: 0.9})
	if fs := in.InspectText("phone: 030 901820"); len(fs) != 0 {
		t.Errorf("min_score 0.9 kept %+v", fs)
	}
}
