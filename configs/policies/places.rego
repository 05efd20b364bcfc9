# Helpers of the decision: places, money, names.
package sluice

# residency_applies: the tenant has a rule, and the request falls under it. A
# redacted request is still personal data: the provider learns the fact, only not of whom.
residency_applies if {
	tenant.residency
	object.get(tenant.residency, "when", "always") == "always"
}

residency_applies if {
	tenant.residency.when == "personal"
	count(personal) > 0
}

matter := "personal data" if tenant.residency.when == "personal"

else := "data"

# The regions that satisfy the tenant's rule: those it names, and the countries of a group ("EU") that it names.
regions := ({region | some region in tenant.residency.regions} | {country |
	some group in tenant.residency.regions
	some country in data.by_name.regions[group].countries
}) - {"", "unknown"}

known_member(place, places) if {
	not place in {"", "unknown"}
	place in places
}

place(name) := name if not name in {"", "unknown"}

else := "an unknown place"

# retention_days is null where nobody has stated it.
short_enough(stated, most) if {
	is_number(stated)
	stated <= most
}

days(stated) := sprintf("%d days", [stated]) if is_number(stated)

else := "an unknown time"

any_match(patterns, id) if {
	some pattern in patterns
	glob.match(pattern, [], id)
}

# remaining_usd is null where nobody has set a budget.
spent if {
	is_number(input.budget.remaining_usd)
	input.budget.remaining_usd <= 0
}

spent if input.budget.spent_usd >= tenant.budget_usd
