"""Stock of every slot: movements, reservations, and slots that sell nothing until a person has looked."""
