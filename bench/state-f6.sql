select f6_state_asof(:object::uuid, legal => :legal::boolean);
