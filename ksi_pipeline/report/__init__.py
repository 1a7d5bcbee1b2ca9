"""Pictures of one site for people: nothing here is read by a program again."""
