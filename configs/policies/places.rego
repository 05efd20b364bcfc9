# Helpers of the decision: places, time, names.
package sluice

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
