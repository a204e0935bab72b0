"""What a list lets through, exactly: findings, differences, who reaches what."""
