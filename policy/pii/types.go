package pii

// The types that this package finds. [Config].Recognize may add findings of any
// other name; Redact treats them alike.
const (
	Email          = "EMAIL"
	Phone          = "PHONE"
	CreditCard     = "CREDIT_CARD"
	IBAN           = "IBAN"
	IPAddress      = "IP_ADDRESS"
	MACAddress     = "MAC_ADDRESS"
	USSSN          = "US_SSN"
	URLCredentials = "URL_CREDENTIALS"
	Secret         = "SECRET"
	PrivateKey     = "PRIVATE_KEY"
)

// A kind is a type's row in the table below.
type kind uint8

const (
	kEmail kind = iota
	kPhone
	kCard
	kIBAN
	kIP
	kMAC
	kSSN
	kURL
	kSecret
	kKey
	kinds
)

// names gives each kind its type. A new family is a row here, a detector in a
// file of its own, a trigger in scan.go and a line in the tests' oracle.
var names = [kinds]string{
	kEmail: Email, kPhone: Phone, kCard: CreditCard, kIBAN: IBAN, kIP: IPAddress, kMAC: MACAddress,
	kSSN: USSSN, kURL: URLCredentials, kSecret: Secret, kKey: PrivateKey,
}

// Types returns the types that this package finds, in no order that matters.
func Types() []string { return append([]string(nil), names[:]...) }

// Shapeless are the types that [Config].Recognize finds; local/entities knows the same.
var Shapeless = []string{"PERSON", "LOCATION_ADDRESS", "DATE_OF_BIRTH", "ORGANIZATION", "LOCATION", "MEDICAL", "CREDENTIAL_TEXT"}

// How a finding was found.
const (
	byPattern  = "pattern"
	byChecksum = "pattern+checksum"
	byContext  = "pattern+context"
)

// A span is a finding in bytes of the scanned text.
type span struct {
	start, end int
	kind       kind
	score      float64
	by         string
}
