# What may leave, and in which form.
#
# Sluice asks one query, data.sluice.decision, before it sends a request anywhere:
# for the first target and again for each fallback, escalation, hedge and shadow
# copy. The input and the answer are described in schema/*.json and docs/policy.md.
# The tenants are data: data.yaml here, and the operator's configuration over it.
#
# Every reason begins with the id of its rule: "residency: tenant acme keeps …".
package sluice

# Types that are credentials, not personal data. They never leave.
secret_types := {"SECRET", "URL_CREDENTIALS", "PRIVATE_KEY"}

# ---- who asks ----------------------------------------------------------------

# A list of {name: …} in the data is also there by name.
default tenant := {}

tenant := data.by_name.tenants[input.request.tenant]

# ---- what the request holds --------------------------------------------------

found := {type | some type, count in input.findings.types; count > 0}

personal := found - secret_types

# Each type of personal data is redacted, kept home, allowed or blocked. A type
# that none of the tenant's lists names gets the tenant's default, and that is "redact".
listed := {type | some list in ["redact", "keep_home", "allow", "block"]; some type in tenant[list]}

treated(action) := {type | some type in tenant[action]; type in personal} | unlisted(action)

unlisted(action) := personal - listed if action == object.get(tenant, "personal", "redact")

unlisted(action) := set() if action != object.get(tenant, "personal", "redact")

default kept := set()

kept := treated("keep_home") if count(personal) > 0

# Redacted before a cloud model sees the request: the types to redact and all
# secrets. What a more specific list says wins: a type that is kept home is redacted too,
# so that a mistake elsewhere does not let it out.
redact := found - allowed

default allowed := set()

allowed := treated("allow") if count(personal) > 0

local_only if count(kept) > 0

# ---- which targets may see it ------------------------------------------------

# Local targets send nothing anywhere: none of the rules below is about them.
cloud := [target | some target in input.targets; not target.local]

excluded[target.id] contains why if {
	local_only
	some target in cloud
	why := sprintf("keep_home: tenant %s keeps %s at home", [tenant.name, concat(", ", kept)])
}

# Residency: where the target processes data. A place that nobody has stated is no place.
excluded[target.id] contains why if {
	residency_applies
	some target in cloud
	not target.zone.region in regions
	why := sprintf("residency: tenant %s keeps %s in %s, the target is in %s", [tenant.name, matter, concat(", ", tenant.residency.regions), place(target.zone.region)])
}

# Jurisdiction: whose courts reach its operator.
excluded[target.id] contains why if {
	residency_applies
	courts := tenant.residency.jurisdictions
	some target in cloud
	not known_member(target.zone.jurisdiction, courts)
	why := sprintf("jurisdiction: tenant %s asks for an operator under the law of %s, this one is under %s", [tenant.name, concat(", ", courts), place(target.zone.jurisdiction)])
}

# Retention: how long the operator keeps prompts. Unknown is too long.
excluded[target.id] contains why if {
	most := tenant.max_retention_days
	some target in cloud
	not short_enough(target.zone.retention_days, most)
	why := sprintf("retention: tenant %s accepts %d days, the target keeps prompts for %s", [tenant.name, most, days(target.zone.retention_days)])
}

# Training: whether the operator trains on prompts. Unknown may be yes.
excluded[target.id] contains why if {
	tenant.forbid_training
	some target in cloud
	not target.zone.trains == false
	why := sprintf("training: tenant %s wants no training on its prompts, the target gives no such promise", [tenant.name])
}

# Models: the tenant's list of cloud models, where it has one.
excluded[target.id] contains why if {
	models := tenant.models
	some target in cloud
	not any_match(models, target.id)
	why := sprintf("models: tenant %s may not use %s", [tenant.name, target.id])
}

# Budget: money that is spent buys nothing more. Local targets cost none.
excluded[target.id] contains why if {
	spent
	some target in cloud
	why := sprintf("budget: tenant %s has spent its budget", [tenant.name])
}

# A shadow copy is for comparison only: it carries nothing that somebody could miss.
excluded[target.id] contains why if {
	input.hop == "shadow"
	count(found) > 0
	some target in cloud
	why := "shadow: a copy for comparison may not hold personal data or secrets"
}

permitted := {target.id | some target in input.targets; not excluded[target.id]}

# ---- what is refused ---------------------------------------------------------

deny contains {"rule": "tenant", "message": sprintf("there is no tenant named %q", [input.request.tenant])} if tenant == {}

deny contains {"rule": "secret.private_key", "message": "the request holds a private key: take it out and send it again"} if {
	"PRIVATE_KEY" in found
	not tenant.private_keys == "keep_home"
}

deny contains {"rule": "pii.blocked", "message": sprintf("the request holds %s, which tenant %s does not process", [concat(", ", blocked), tenant.name])} if {
	count(personal) > 0
	blocked := treated("block")
	count(blocked) > 0
}

deny contains {"rule": "targets", "message": "no target was offered"} if count(input.targets) == 0

# When every target is excluded, the rules that excluded them are the refusal.
deny contains {"rule": rule, "message": message} if {
	count(permitted) == 0
	some _, whys in excluded
	some why in whys
	cut := indexof(why, ": ")
	rule := substring(why, 0, cut)
	message := substring(why, cut + 2, -1)
}

# ---- the answer --------------------------------------------------------------

default decision := {
	"allow": false,
	"deny": [{"rule": "default", "message": "the policy gave no answer"}],
	"targets": [],
	"redact": [],
	"rehydrate": false,
	"local_only": true,
	"obligations": {"audit": "strict"},
	"reasons": [],
	"excluded": {},
}

decision := {
	"allow": true,
	"deny": [],
	"targets": permitted,
	"redact": redact,
	"rehydrate": object.get(tenant, "rehydrate", true),
	"local_only": count(kept) > 0,
	"obligations": obligations,
	"reasons": reasons,
	"excluded": excluded,
} if {
	count(deny) == 0
}

decision := {
	"allow": false,
	"deny": deny,
	"targets": [],
	"redact": redact,
	"rehydrate": false,
	"local_only": count(kept) > 0,
	"obligations": obligations,
	"reasons": reasons,
	"excluded": excluded,
} if {
	count(deny) > 0
}

obligations := object.union(
	{"audit": object.get(tenant, "audit", "group")},
	{key: value | some key in ["retention_days", "store_content", "approve_tools"]; value := tenant[key]},
)

reasons contains sprintf("redact: %s taken out before a cloud model sees the request", [concat(", ", redact)]) if count(redact) > 0

reasons contains sprintf("keep_home: %s stays here", [concat(", ", kept)]) if count(kept) > 0

reasons contains sprintf("residency: %s stays in %s", [matter, concat(", ", tenant.residency.regions)]) if residency_applies

reasons contains "budget: spent, local models only" if spent
