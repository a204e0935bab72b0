"""How the administration writes moments, where Django would write them as in the United States."""
