"""Pictures of products: what customers see at the kiosk, and people in the dashboard."""
