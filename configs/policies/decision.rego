# What may leave, and in which form.
#
# Sluice asks one query, data.sluice.decision, before it sends a request anywhere:
# for the first target and again for each fallback, escalation, hedge and shadow
# copy. The input and the answer are described in schema/*.json and docs/policy.md.
# The tenants are data: data.yaml here, and the operator's configuration over it;
# prepare.rego fills in what they leave out.
#
# Every reason begins with the id of its rule: "residency: tenant acme keeps …".
package sluice

# Types that are credentials, not personal data. They never leave.
secret_types := {"SECRET", "URL_CREDENTIALS", "PRIVATE_KEY"}

# ---- who asks ----------------------------------------------------------------

tenant := data.prepared.tenants[input.request.tenant]

# ---- what the request holds --------------------------------------------------

found := {type | some type, count in input.findings.types; count > 0}

# Each type of personal data is redacted, kept home, allowed or blocked: as one of
# the tenant's lists says, or as its field personal says for the rest.
treated := {type: action |
	some type in found - secret_types
	action := object.get(tenant.treatment, type, tenant.personal)
}

is_personal if count(treated) > 0

kept := {type | some type, "keep_home" in treated}

local_only if count(kept) > 0

# Taken out before a cloud model sees the request: whatever was found and is not
# allowed. What is kept home or blocked is in here too, so that a mistake elsewhere does not let it out.
redact := found - {type | some type, "allow" in treated}

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
	not tenant.residency.regions[target.zone.region]
	why := sprintf("residency: tenant %s keeps %s in %s, the target is in %s", [tenant.name, tenant.residency.matter, tenant.residency.text, place(target.zone.region)])
}

# Jurisdiction: whose courts reach its operator.
excluded[target.id] contains why if {
	courts := tenant.residency.jurisdictions
	residency_applies
	some target in cloud
	not target.zone.jurisdiction in courts
	why := sprintf("jurisdiction: tenant %s asks for an operator under the law of %s, this one is under that of %s", [tenant.name, concat(", ", courts), place(target.zone.jurisdiction)])
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

# A residency rule is for every request, or for those with personal data. A redacted
# one is still personal data: the provider learns the fact, only not of whom.
residency_applies if tenant.residency.when == "always"

residency_applies if {
	tenant.residency.when == "personal"
	is_personal
}

# remaining_usd is null where nobody has set a budget, and null is less than any number.
spent if {
	input.budget.remaining_usd != null
	input.budget.remaining_usd <= 0
}

spent if input.budget.spent_usd >= tenant.budget_usd

permitted := {target.id | some target in input.targets} - object.keys(excluded)

# ---- what is refused ---------------------------------------------------------

deny contains {"rule": "tenant", "message": sprintf("there is no tenant named %q", [input.request.tenant])} if not tenant

deny contains {"rule": "secret.private_key", "message": "the request holds a private key: take it out and send it again"} if {
	"PRIVATE_KEY" in found
	tenant.private_keys != "keep_home"
}

# Where a tenant lets its local models see private keys, no other model does.
excluded[target.id] contains "secret.private_key: a private key stays at home" if {
	"PRIVATE_KEY" in found
	some target in cloud
}

deny contains {"rule": "pii.blocked", "message": sprintf("the request holds %s, which tenant %s does not process", [concat(", ", blocked), tenant.name])} if {
	is_personal
	blocked := {type | some type, "block" in treated}
	count(blocked) > 0
}

deny contains {"rule": "targets", "message": "no target was offered"} if count(input.targets) == 0

# When every target is excluded, the rules that excluded them are the refusal.
deny contains {"rule": rule, "message": message} if {
	count(permitted) == 0
	some whys in excluded
	some why in whys
	cut := indexof(why, ": ")
	rule := substring(why, 0, cut)
	message := substring(why, cut + 2, -1)
}

# ---- the answer --------------------------------------------------------------

decision := {
	"allow": true,
	"targets": permitted,
	"redact": redact,
	"rehydrate": tenant.rehydrate,
	"local_only": count(kept) > 0,
	"obligations": tenant.obligations,
	"reasons": reasons,
	"excluded": excluded,
} if {
	count(deny) == 0
}

else := {
	"allow": false,
	"deny": deny,
	"targets": [],
	"excluded": excluded,
	"obligations": {"audit": "strict"},
}

reasons contains sprintf("redact: %s taken out before a cloud model sees the request", [concat(", ", redact)]) if count(redact) > 0

reasons contains sprintf("keep_home: %s stays here", [concat(", ", kept)]) if local_only

reasons contains sprintf("residency: %s stays in %s", [tenant.residency.matter, tenant.residency.text]) if residency_applies

reasons contains "budget: spent, local models only" if spent
