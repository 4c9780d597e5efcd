# Like production, but without deletion protection.
stage                  = "staging"
python_version         = "3.13"
tracing                = true
log_retention_days     = 7
point_in_time_recovery = true
throttling             = { rate = 2000, burst = 2000 }
alarms                 = "essential"
