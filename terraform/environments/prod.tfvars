# To receive alarms, add your address: alarm_emails = ["operations@example.com"]
stage                  = "prod"
python_version         = "3.13"
log_retention_days     = 30
point_in_time_recovery = true
deletion_protection    = true
throttling             = { rate = 4000, burst = 2000 }
memory_mb              = { connect = 512, message = 512, disconnect = 512 }
alarms                 = "all"
