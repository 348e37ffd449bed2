print("gefs")
