# A stage to try things in: cheap, and gone without a trace when it is destroyed.
stage    = "dev"
settings = { LOG_LEVEL = "DEBUG" }
mfa      = "OFF"
alarms   = "none"
