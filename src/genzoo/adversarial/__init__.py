"""What a game between a generator and a discriminator is made of, as functions of tensors."""
