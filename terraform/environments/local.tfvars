# For `make emulate`: the whole stack on this machine.
stage    = "local"
settings = { LOG_LEVEL = "WARNING" }
mfa      = "OFF"
# ministack 1.5.33 has no PutQueryDefinition.
saved_queries = false
