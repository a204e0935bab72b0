"""What people bring and take: documents, spreadsheets, pasted lines."""
