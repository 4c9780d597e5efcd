"""The application behind the Lambda functions of app.py."""
