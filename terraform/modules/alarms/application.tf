# The place of the metrics that the application measures itself, which come with the issue on
# operations: an alarm here has the shape of those in main.tf and gets its name, topic and treatment
# of gaps there; a row of widgets here has the shape of those in dashboard.tf and stands below them.

locals {
  application_alarms = {}

  application_rows = []
}
