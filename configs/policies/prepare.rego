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
		"treatment": object.union(lists(tenant), secrets),
		"obligations": object.union({"audit": "group"}, object.filter(tenant, ["audit", "retention_days", "store_content", "approve_tools", "repair"])),
		"asks": count(asking & object.keys(tenant)) > 0,
		"says": says(tenant),
	},
	residency(tenant),
])

defaults := {"personal": "redact", "rehydrate": true, "private_keys": "refuse"}

# Types that are credentials, not personal data: the tenant's lists are not about them.
secrets := {"SECRET": "secret", "URL_CREDENTIALS": "secret", "PRIVATE_KEY": "secret", "CREDENTIAL_TEXT": "secret"}

# What the tenant's lists say about each type. Where two name the same, the stricter one counts.
lists(tenant) := object.union_n([{type: action | some type in tenant[action]} |
	some action in ["allow", "redact", "keep_home", "block"]
])

# The fields that ask something of the operators of cloud models.
asking := {"residency", "max_retention_days", "forbid_training", "models"}

# The regions that satisfy a residency rule: those it names, and the countries of
# a group ("EU") that it names. A place that nobody has stated is none of them.
residency(tenant) := {"residency": object.union_n([{"when": "always"}, tenant.residency, regions(tenant)])} if tenant.residency

else := {}

regions(tenant) := {"regions": {region: true | some region in (named(tenant) | members(tenant)) - {"", "unknown"}}} if tenant.residency.regions

else := {}

named(tenant) := {region | some region in tenant.residency.regions}

members(tenant) := {country |
	some group in tenant.residency.regions
	some country in data.by_name.regions[group].countries
}

# The sentences that begin with what the tenant asks; they lack at most what the target offers.
says(tenant) := object.union({
	"budget": sprintf("budget: tenant %s has spent its budget", [tenant.name]),
	"training": sprintf("training: tenant %s wants no training on its prompts, the target gives no such promise", [tenant.name]),
	"models": sprintf("models: tenant %s may not use ", [tenant.name]),
	"retention": sprintf("retention: tenant %s accepts %v days, the target keeps prompts for ", [tenant.name, object.get(tenant, "max_retention_days", "any")]),
	"jurisdiction": sprintf("jurisdiction: tenant %s asks for an operator under the law of %s, this one is under that of ", [tenant.name, concat(", ", object.get(tenant, ["residency", "jurisdictions"], []))]),
}, stays(tenant))

stays(tenant) := {
	"residency": sprintf("residency: tenant %s keeps %s in %s, the target is in ", [tenant.name, matter(tenant), places]),
	"stays": sprintf("residency: %s stays in %s", [matter(tenant), places]),
} if {
	places := concat(", ", tenant.residency.regions)
} else := {}

matter(tenant) := "personal data" if tenant.residency.when == "personal"

else := "data"
