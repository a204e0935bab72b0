"""What is sent to the addresses that owners name, and where it may go. It knows no database: operations/ says what is due."""
