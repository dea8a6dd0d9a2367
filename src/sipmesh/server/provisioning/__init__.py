"""What a device has to know, in the form that each phone, browser and operating system reads; and the letter to its user."""
