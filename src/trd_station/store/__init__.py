"""What a station keeps: tables (`schema`, `migrations`), how they are read and written, and files beside them."""
