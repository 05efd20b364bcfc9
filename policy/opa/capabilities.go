package opa

import (
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// impure names built-ins, and families ending in ".", that reach out or answer differently the next time.
var impure = []string{"http.", "net.", "opa.runtime", "rand.", "uuid.rfc4122", "time.now_ns", "trace", "rego.parse_module", "io.jwt.", "providers.aws.", "crypto.x509."}

// capabilities returns what a rule may call.
var capabilities = sync.OnceValue(func() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || isImpure(b.Name)
	})
	c.AllowNet = []string{} // schemas may not refer to the network
	return c
})

func isImpure(builtin string) bool {
	return slices.ContainsFunc(impure, func(name string) bool {
		return builtin == name || strings.HasSuffix(name, ".") && strings.HasPrefix(builtin, name)
	})
}
