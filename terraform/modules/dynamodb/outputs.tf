output "tables" {
  description = "The name and ARN of each table, keyed by its name in the schema."
  value = {
    for name, table in aws_dynamodb_table.this : name => { name = table.name, arn = table.arn }
  }
}
