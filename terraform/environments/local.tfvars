# The stage for `make emulate`, which runs the whole stack on this machine.
stage    = "local"
settings = { LOG_LEVEL = "WARNING" }
mfa      = "OFF"
# ministack 1.5.33 doesn't support PutQueryDefinition.
saved_queries = false
