# What may leave, and in which form.
#
# Sluice asks one query, data.sluice.decision, before it sends a request anywhere:
# for the first target and again for each fallback, escalation, hedge and shadow
# copy, and before a local model repairs an answer. The input and the answer are described in schema/*.json and docs/policy.md.
# The tenants are data: data.yaml here, and the operator's configuration over it;
# prepare.rego works out beforehand what depends on them alone.
#
# Every reason begins with the id of its rule: "residency: tenant acme keeps …".
package sluice

# ---- who asks ----------------------------------------------------------------

tenant := data.prepared.tenants[input.request.tenant]

# ---- what the request holds --------------------------------------------------

# What was found, and what is done about it. Personal data is redacted, kept home,
# allowed or blocked: as one of the tenant's lists says, or as its field personal
# says for the rest. Credentials are "secret": they never leave.
treated := {type: action |
	some type, count in input.findings.types
	count > 0
	action := object.get(tenant.treatment, type, tenant.personal)
}

is_personal if {
	some action in treated
	action != "secret"
}

local_only if "keep_home" in treated

kept := concat(", ", [type | some type, "keep_home" in treated])

# Taken out before a cloud model sees the request: whatever was found and is not
# allowed. What is kept home or blocked is in here too, so that a mistake elsewhere does not let it out.
redact := {type | some type, action in treated; action != "allow"}

# ---- which targets may see it ------------------------------------------------

# Local targets send nothing anywhere: none of the rules below is about them.
cloud := [target | some target in input.targets; not target.local]

excluded[target.id] contains why if {
	local_only
	some target in cloud
	why := sprintf("keep_home: tenant %s keeps %s at home", [tenant.name, kept])
}

# Budget: money that is spent buys nothing more. Local targets cost none.
excluded[target.id] contains tenant.says.budget if {
	spent
	some target in cloud
}

# A shadow copy is for comparison only: it carries nothing that somebody could miss.
excluded[target.id] contains "shadow: a copy for comparison may not hold personal data or secrets" if {
	input.hop == "shadow"
	count(treated) > 0
	some target in cloud
}

# Where a tenant lets its local models see private keys, no other model does.
excluded[target.id] contains "secret.private_key: a private key stays at home" if {
	input.findings.types.PRIVATE_KEY > 0
	some target in cloud
}

# What the tenant asks of the operators of cloud models. Most ask nothing.
excluded[id] contains why if {
	tenant.asks
	some id, whys in unfit
	some why in whys
}

# Residency: where the target processes data. A place that nobody has stated is no place.
unfit[target.id] contains concat("", [tenant.says.residency, place(target.zone.region)]) if {
	tenant.residency.regions
	residency_applies
	some target in cloud
	not tenant.residency.regions[target.zone.region]
}

# Jurisdiction: whose courts reach its operator.
unfit[target.id] contains concat("", [tenant.says.jurisdiction, place(target.zone.jurisdiction)]) if {
	tenant.residency.jurisdictions
	residency_applies
	some target in cloud
	not target.zone.jurisdiction in tenant.residency.jurisdictions
}

# Retention: how long the operator keeps prompts. Unknown is too long.
unfit[target.id] contains concat("", [tenant.says.retention, days(target.zone.retention_days)]) if {
	most := tenant.max_retention_days
	some target in cloud
	not short_enough(target.zone.retention_days, most)
}

# Training: whether the operator trains on prompts. Unknown may be yes.
unfit[target.id] contains tenant.says.training if {
	tenant.forbid_training
	some target in cloud
	not target.zone.trains == false
}

# Models: the tenant's list of cloud models, where it has one.
unfit[target.id] contains concat("", [tenant.says.models, target.id]) if {
	models := tenant.models
	some target in cloud
	not any_match(models, target.id)
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
	input.findings.types.PRIVATE_KEY > 0
	tenant.private_keys != "keep_home"
}

deny contains {"rule": "pii.blocked", "message": sprintf("the request holds %s, which tenant %s does not process", [concat(", ", blocked), tenant.name])} if {
	"block" in treated
	blocked := [type | some type, "block" in treated]
}

deny contains {"rule": "targets", "message": "no target was offered"} if input.targets == []

# When every target is excluded, the rules that excluded them are the refusal.
deny contains {"rule": rule, "message": message} if {
	permitted == set()
	some whys in excluded
	some why in whys
	cut := indexof(why, ": ")
	rule := substring(why, 0, cut)
	message := substring(why, cut + 2, -1)
}

# ---- the answer --------------------------------------------------------------

# The short way for the most common question: nothing was found, the tenant asks
# nothing of the targets, and money is left. Weighing it all has the same outcome.
decision := {
	"allow": true,
	"targets": {target.id | some target in input.targets},
	"redact": set(),
	"rehydrate": tenant.rehydrate,
	"local_only": false,
	"obligations": tenant.obligations,
	"reasons": set(),
	"excluded": {},
} if {
	count(input.findings.types) == 0
	tenant.asks == false
	input.targets != []
	not spent
}

else := weighed

weighed := {
	"allow": true,
	"targets": permitted,
	"redact": redact,
	"rehydrate": tenant.rehydrate,
	"local_only": "keep_home" in treated,
	"obligations": tenant.obligations,
	"reasons": reasons,
	"excluded": excluded,
} if {
	deny == set()
}

else := {
	"allow": false,
	"deny": deny,
	"targets": [],
	"excluded": excluded,
	"obligations": {"audit": "strict"},
}

reasons contains sprintf("redact: %s taken out before a cloud model sees the request", [concat(", ", redact)]) if redact != set()

reasons contains sprintf("keep_home: %s stays here", [kept]) if local_only

reasons contains tenant.says.stays if residency_applies

reasons contains "budget: spent, local models only" if spent
