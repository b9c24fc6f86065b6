"""Stand-ins for whole rooms, shared by the tests of the rooms above them."""
