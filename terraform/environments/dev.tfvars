# A low-cost stage for experiments. Destroying it removes everything.
stage    = "dev"
settings = { LOG_LEVEL = "DEBUG" }
mfa      = "OFF"
alarms   = "none"
