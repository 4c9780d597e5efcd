# For `make emulate`: the whole stack on this machine.
stage    = "local"
settings = { LOG_LEVEL = "WARNING" }
mfa      = "OFF"
