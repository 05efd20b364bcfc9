// Package api is the HTTP face of the router: the data listener with
// OpenAI's and Sluice's own endpoints, and the admin listener.
//
// A handler admits a request (size, shape, key, rate), hands it to
// [router.Router], and translates what comes back. It decides nothing.
// Only errors.go writes error bodies.
package api
