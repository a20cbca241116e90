"""The settings that devices shall run on."""
