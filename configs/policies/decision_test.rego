package sluice_test

import data.sluice

# Run with: sluice policy test

local_target := {"id": "local/nano", "local": true, "zone": zone("", ""), "price": price, "healthy": true}

us := {"id": "openai/gpt", "local": false, "zone": zone("US", "US"), "price": price, "healthy": true}

france := {"id": "mistral/small", "local": false, "zone": zone("FR", "FR"), "price": price, "healthy": true}

nowhere := {"id": "other/unknown", "local": false, "zone": {"region": "unknown", "jurisdiction": "", "operator": "", "retention_days": null, "trains": null}, "price": price, "healthy": true}

zone(region, jurisdiction) := {"region": region, "jurisdiction": jurisdiction, "operator": "x", "retention_days": 0, "trains": false}

price := {"id": "p", "input": 1, "cached": 1, "output": 1, "reasoning": 1, "known": true}

request(tenant) := {
	"tenant": tenant, "user": "", "key": "", "roles": [], "session": "", "dialect": "openai.chat", "model": "auto",
	"tools": [], "modalities": ["text"], "stream": false, "origin": "",
}

asked(tenant, types, targets) := {
	"request": request(tenant),
	"findings": {"types": types, "max_score": 1, "secrets": 0},
	"assessment": {"task": "chat", "p_local": 0.5, "boundary": "uncertain"},
	"targets": targets, "hop": "first",
	"budget": {"remaining_usd": null, "spent_usd": 0},
	"time": "2026-01-02T03:04:05Z",
}

all := [local_target, us, france, nowhere]

test_default_allows_every_target if {
	d := sluice.decision with input as asked("default", {}, all)
	d.allow
	d.targets == {"local/nano", "openai/gpt", "mistral/small", "other/unknown"}
	d.redact == set()
	d.rehydrate
	d.obligations.audit == "group"
}

test_default_redacts_what_was_found if {
	d := sluice.decision with input as asked("default", {"EMAIL": 2, "SECRET": 1, "PHONE": 0}, all)
	d.redact == {"EMAIL", "SECRET"}
	count(d.targets) == 4
	"redact: EMAIL, SECRET taken out before a cloud model sees the request" in d.reasons
}

test_unknown_tenant_is_refused if {
	d := sluice.decision with input as asked("nobody", {}, all)
	not d.allow
	d.deny == {{"rule": "tenant", "message": "there is no tenant named \"nobody\""}}
	d.targets == []
}

test_private_key_is_refused if {
	d := sluice.decision with input as asked("default", {"PRIVATE_KEY": 1}, all)
	some denial in d.deny
	denial.rule == "secret.private_key"
}

test_private_key_for_the_local_model_only if {
	prepared := object.union(data.prepared.tenants["default"], {"private_keys": "keep_home"})
	d := sluice.decision with input as asked("default", {"PRIVATE_KEY": 1}, all)
		with data.prepared.tenants as {"default": prepared}
	d.targets == {"local/nano"}
}

test_no_target_is_refused if {
	d := sluice.decision with input as asked("default", {}, [])
	d.deny == {{"rule": "targets", "message": "no target was offered"}}
}

test_acme_without_personal_data_goes_anywhere_that_promises if {
	d := sluice.decision with input as asked("acme", {}, all)
	d.targets == {"local/nano", "openai/gpt", "mistral/small"}
	d.excluded["other/unknown"] == {
		"retention: tenant acme accepts 30 days, the target keeps prompts for an unknown time",
		"training: tenant acme wants no training on its prompts, the target gives no such promise",
	}
	d.obligations.audit == "strict"
}

test_acme_keeps_personal_data_in_the_eu if {
	d := sluice.decision with input as asked("acme", {"EMAIL": 1}, all)
	d.targets == {"local/nano", "mistral/small"}
	d.excluded["openai/gpt"] == {"residency: tenant acme keeps personal data in EU, the target is in US"}
	"residency: tenant acme keeps personal data in EU, the target is in an unknown place" in d.excluded["other/unknown"]
}

test_acme_keeps_accounts_at_home if {
	d := sluice.decision with input as asked("acme", {"IBAN": 1}, all)
	d.local_only
	d.targets == {"local/nano"}
	"keep_home: IBAN stays here" in d.reasons
	d.redact == {"IBAN"}
}

test_acme_allows_addresses_of_machines if {
	d := sluice.decision with input as asked("acme", {"IP_ADDRESS": 1}, all)
	d.redact == set()
}

test_residency_without_a_target_is_the_refusal if {
	d := sluice.decision with input as asked("acme", {"EMAIL": 1}, [us])
	not d.allow
	d.deny == {{"rule": "residency", "message": "tenant acme keeps personal data in EU, the target is in US"}}
}

test_shadow_copies_hold_nothing if {
	d := sluice.decision with input as object.union(asked("default", {"EMAIL": 1}, [local_target, us]), {"hop": "shadow"})
	d.targets == {"local/nano"}
}

test_spent_budget_leaves_the_local_target if {
	d := sluice.decision with input as object.union(asked("default", {}, all), {"budget": {"remaining_usd": 0, "spent_usd": 5}})
	d.targets == {"local/nano"}
	d.excluded["openai/gpt"] == {"budget: tenant default has spent its budget"}
}

test_budget_of_the_tenant if {
	d := sluice.decision with input as object.union(asked("acme", {}, all), {"budget": {"remaining_usd": null, "spent_usd": 200}})
	d.targets == {"local/nano"}
}

# A tenant made up for the rules that the two in data.yaml do not use.
strict := {"name": "strict", "personal": "keep_home", "block": ["US_SSN"], "redact": ["EMAIL"], "models": ["mistral/*"], "residency": {"regions": ["EEA", "unknown", ""], "jurisdictions": ["FR"]}, "max_retention_days": 0}

asked_strict(types, targets) := decided(strict, types, targets)

test_strict_blocks if {
	asked_strict({"US_SSN": 1}, all).deny == {{"rule": "pii.blocked", "message": "the request holds US_SSN, which tenant strict does not process"}}
}

test_strict_keeps_by_default if {
	asked_strict({"PHONE": 1}, all).targets == {"local/nano"}
	asked_strict({"EMAIL": 1}, all).targets == {"local/nano", "mistral/small"}
}

test_strict_residency_always if {
	d := asked_strict({}, [us, nowhere, local_target])
	d.targets == {"local/nano"}
	"residency: tenant strict keeps data in EEA, unknown, , the target is in US" in d.excluded["openai/gpt"]
	"jurisdiction: tenant strict asks for an operator under the law of FR, this one is under that of US" in d.excluded["openai/gpt"]
	"models: tenant strict may not use openai/gpt" in d.excluded["openai/gpt"]
	"residency: tenant strict keeps data in EEA, unknown, , the target is in an unknown place" in d.excluded["other/unknown"]
	"jurisdiction: tenant strict asks for an operator under the law of FR, this one is under that of an unknown place" in d.excluded["other/unknown"]
}

test_strict_retention if {
	late := object.union(france, {"zone": object.union(france.zone, {"retention_days": 30})})
	asked_strict({}, [late]).excluded["mistral/small"] == {"retention: tenant strict accepts 0 days, the target keeps prompts for 30 days"}
}

test_the_short_way_leads_to_the_same_answer if {
	every targets in [all, [us], [local_target], []] {
		every left in [null, 1, 0] {
			every hop in ["first", "fallback", "shadow"] {
				every tenant in ["default", "acme", "nobody"] {
					question := object.union(asked(tenant, {}, targets), {"hop": hop, "budget": {"remaining_usd": left, "spent_usd": 0}})
					answer := sluice.decision with input as question
					answer == sluice.weighed with input as question
				}
			}
		}
	}
}

# A tenant that asks for a law alone, and one whose lists contradict each other.
decided(tenant, types, targets) := decision if {
	prepared := data.sluice.prepare.value with data.by_name.tenants as {tenant.name: tenant}
	decision := sluice.decision with input as asked(tenant.name, types, targets) with data.prepared as prepared
}

test_jurisdiction_alone if {
	d := decided({"name": "law", "residency": {"jurisdictions": ["FR"]}}, {}, all)
	d.targets == {"local/nano", "mistral/small"}
	d.excluded["openai/gpt"] == {"jurisdiction: tenant law asks for an operator under the law of FR, this one is under that of US"}
	d.reasons == set()
}

test_the_stricter_list_counts if {
	twice := {"name": "twice", "allow": ["EMAIL", "PHONE", "IBAN"], "redact": ["PHONE"], "keep_home": ["EMAIL", "IBAN"], "block": ["IBAN"]}
	decided(twice, {"PHONE": 1}, all).redact == {"PHONE"}
	decided(twice, {"EMAIL": 1}, all).targets == {"local/nano"}
	not decided(twice, {"IBAN": 1}, all).allow
}

test_secrets_are_redacted_whatever_the_lists_say if {
	lax := {"name": "lax", "personal": "allow", "allow": ["SECRET", "URL_CREDENTIALS"]}
	decided(lax, {"SECRET": 1, "URL_CREDENTIALS": 1, "EMAIL": 1}, all).redact == {"SECRET", "URL_CREDENTIALS"}
	decided(lax, {"CREDENTIAL_TEXT": 1, "PERSON": 1}, all).redact == {"CREDENTIAL_TEXT"}
}

test_what_was_prepared_is_what_the_rule_says if {
	value := data.sluice.prepare.value
	value == data.prepared
	value.tenants["default"].personal == "redact"
	value.tenants.acme.says.stays == "residency: personal data stays in EU"
	value.tenants.acme.asks
	not value.tenants["default"].asks
}
