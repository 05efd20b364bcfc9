# What can be worked out before the first request: this rule is evaluated once,
# when the bundle is loaded, and its value is data.prepared for the decisions.
# It sees data, never input.
package sluice.prepare

# Each tenant, with every field filled in.
value := {"tenants": {name: filled(tenant) | some name, tenant in data.by_name.tenants}}

filled(tenant) := object.union_n([
	defaults,
	tenant,
	{
		"treatment": {type: action | some action in ["allow", "redact", "block", "keep_home"]; some type in tenant[action]},
		"obligations": object.union({"audit": "group"}, object.filter(tenant, ["audit", "retention_days", "store_content", "approve_tools"])),
	},
	residency(tenant),
])

defaults := {"personal": "redact", "rehydrate": true, "private_keys": "refuse"}

# The regions that satisfy a residency rule: those it names, and the countries of
# a group ("EU") that it names. A place that nobody has stated is none of them.
residency(tenant) := {"residency": {
	"when": object.get(tenant.residency, "when", "always"),
	"matter": matter(object.get(tenant.residency, "when", "always")),
	"text": concat(", ", tenant.residency.regions),
	"regions": {region: true | some region in (named(tenant) | members(tenant)) - {"", "unknown"}},
}} if {
	tenant.residency
}

else := {}

named(tenant) := {region | some region in tenant.residency.regions}

members(tenant) := {country |
	some group in tenant.residency.regions
	some country in data.by_name.regions[group].countries
}

matter("personal") := "personal data"

matter(when) := "data" if when != "personal"
